"""Tables of text for people: aligned columns, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["aligned", "latex", "markdown"]

Rows = Sequence[Sequence[str]]

LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"},
    **{"[": "{[}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "±": r"$\pm$"},
}
"""What LaTeX reads as something else; a row that begins with a bracket would be an argument of the row's end."""


def aligned(header: Sequence[str], rows: Rows) -> str:
    """Return a table with a space between its columns, one line a row.

    >>> print(aligned(("norm", "dB"), [("channel", "24.5")]))
    norm     dB
    channel  24.5
    """
    lines = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    joined = ("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in joined)


def markdown(header: Sequence[str], rows: Rows) -> str:
    """Return a table in Markdown.

    >>> print(markdown(("a|b", "n"), [("x", "1")]))
    | a\\|b | n |
    |---|---|
    | x | 1 |
    """
    lines = [[text.replace("|", "\\|") for text in line] for line in (header, *rows)]
    first, *others = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([first, "|" + "---|" * len(header), *others])


def latex(header: Sequence[str], rows: Rows, caption: str) -> str:
    """Return a table in LaTeX, for the package booktabs.

    >>> print(latex(("norm", "n_i"), [("none", "5 %")], "Means."))
    \\begin{table}
      \\centering
      \\caption{Means.}
      \\begin{tabular}{ll}
        \\toprule
        norm & n\\_i \\\\
        \\midrule
        none & 5 \\% \\\\
        \\bottomrule
      \\end{tabular}
    \\end{table}
    """
    first, *others = (f"    {' & '.join(map(escaped, line))} \\\\" for line in (header, *rows))
    table = [f"\\begin{{tabular}}{{{'l' * len(header)}}}", r"  \toprule", first[2:], r"  \midrule"]
    table += [*(line[2:] for line in others), r"  \bottomrule", r"\end{tabular}"]
    inside = [r"\centering", f"\\caption{{{escaped(caption)}}}", *table]
    return "\n".join([r"\begin{table}", *(f"  {line}" for line in inside), r"\end{table}"])


def escaped(text: str) -> str:
    """Return text that LaTeX sets as it stands.

    >>> escaped("network.channels=[4, 4]"), escaped("50 %")
    ('network.channels={[}4, 4]', '50 \\\\%')
    """
    return "".join(LATEX.get(character, character) for character in text)
