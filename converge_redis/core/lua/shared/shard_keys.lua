-- The key names of a shard, in the order of core/keys.py, which says what each key holds. Core knows the keys
-- of all features, so that each name is made in one place and no two features use the same one. Only the
-- channel of a listener is named by its one user, notifications/notify. KEYS[1] is the prefix of all names,
-- and holds the shard's hash tag. A name that ends in a colon is a prefix too.
--@include core/clock
local base = KEYS[1]

-- Tasks.
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

-- Listeners and the due timer.
local watchers = base .. "watchers:"
local listeners = base .. "listeners"
local timer = base .. "alarm"
local waiting_claimers = base .. "waiting:"
local filters = base .. "profile:"
local filter_index = base .. "door:"

-- Sessions.
local session_watchers = base .. "onlookers:"
local negotiations = base .. "negotiation:"
local proposals = base .. "proposals:"
local sessions = base .. "sessions:"
local auctions = base .. "auction:"
local bids = base .. "bids:"
local bidders = base .. "bidders:"
local ballots = base .. "ballot:"
local roll = base .. "roll:"
local votes = base .. "votes:"
local contracts = base .. "contract:"
local replies = base .. "replies:"
local open_calls = base .. "calls:"
