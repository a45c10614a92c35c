-- pass_on: wakes another claimer for a lane: the one that was woken for it waits no more.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   lane
-- Reply     {"OK"}
--@include tasks/claim_queue

local lane = ARGV[1]
if redis.call("EXISTS", lane_prefix .. lane) == 1 then
  wake(lane)
end
return { "OK" }
