-- The keys of one shard: their names begin with KEYS[1], which holds the shard's hash tag. The same list,
-- with what each holds, is in keys.py. Those whose names end in a colon are prefixes, and take a last part.
--@include core/clock
local base = KEYS[1]
local tasks = base .. "t:"
local specs = base .. "spec:"
local results = base .. "result:"
local lane_prefix = base .. "lane:"
local lanes = base .. "lanes"
local delayed = base .. "delayed"
local deadlines = base .. "deadlines"
local leases = base .. "leases"
local claims = base .. "claims:"
local finished = base .. "finished"
local counts = base .. "counts"
local reopened = base .. "reopened:"
local watchers = base .. "watchers:"
local listeners = base .. "listeners"
local timer = base .. "alarm"
