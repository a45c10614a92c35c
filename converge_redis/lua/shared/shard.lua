-- The keys of one shard: their names begin with KEYS[1], which holds the shard's hash tag. The same list,
-- with what each holds, is in keys.py. Those whose names end in a colon are prefixes, and take a last part.
--@include shared/clock
local base = KEYS[1]
local tasks, specs, results = base .. "t:", base .. "spec:", base .. "result:"
local lane_prefix, lanes = base .. "lane:", base .. "lanes"
local delayed, deadlines, leases = base .. "delayed", base .. "deadlines", base .. "leases"
local claims, finished, counts = base .. "claims:", base .. "finished", base .. "counts"
local reopened = base .. "reopened:"
local watchers, listeners, alarm = base .. "watchers:", base .. "listeners", base .. "alarm"
