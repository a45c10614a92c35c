-- wake_next_claimer: Wake another claimer for a lane, in place of one that no longer waits.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   lane
-- Reply     {"OK"}
--@include tasks/wake_claimer

local lane = ARGV[1]
if redis.call("EXISTS", lane_prefix .. lane) == 1 then
  wake_claimer(lane)
end
return { "OK" }
