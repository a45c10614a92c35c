-- The keys of one shard, in the order of `_TASK_KEYS` in keys.py.
-- Of these, tasks, specs, results, lane_prefix, claims and done are prefixes, and take a last part: an id.
--@include shared/clock
local tasks, specs, results, lane_prefix, lanes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local delayed, deadlines, leases, claims, finished = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local counts, done, work = KEYS[11], KEYS[12], KEYS[13]
