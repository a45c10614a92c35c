-- pass_on: wakes another claimer for a lane: the one that was woken for it waits no more.
-- KEYS[1]   the shard (shared/shard.lua)
-- ARGV[1]   lane
-- Reply     {"OK"}
--@include shared/waiting

local lane = ARGV[1]
if redis.call("EXISTS", lane_prefix .. lane) == 1 then
  wake(lane)
end
return { "OK" }
