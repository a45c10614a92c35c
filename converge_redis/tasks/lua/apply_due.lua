-- apply_due: Apply what is due in a shard, for its due timer.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   listener, the owner of the timer
-- Reply     {"OK", microseconds until the timer fires again, or "": it does not}
--@include tasks/sweep_due

local listener = ARGV[1]
local next_due_at = sweep_due()
if redis.call("EXISTS", listeners) == 0 then
  redis.call("DEL", timer)
  return { "OK", "" }
end
return { "OK", elect_timer(listener, next_due_at) }
