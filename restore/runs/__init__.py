"""Many fits: a plan of trials, a store on disk that survives anything, and the engine that joins them.

trial    what a trial is, and its name
config   a plan from a YAML file; needs pydantic, which nothing else here does
store    results on disk; claims says who runs what
execute  one trial
engine   a whole plan, here or on any executor
"""
