-- tick: the time keeper lets time pass: delays and leases that are over make tasks claimable.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   listener
-- Reply     {"OK", microseconds until the next tick, or "" for none}
--@include tasks/expiry

local listener = ARGV[1]
local soonest = sweep_due()
if redis.call("EXISTS", listeners) == 0 then
  redis.call("DEL", timer)
  return { "OK", "" }
end
return { "OK", elect_timer(listener, soonest) }
