-- close_claim_queue: Unregister a listener that closes; if it owns the due timer, pass the timer on.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   listener
-- Reply     {"OK"}
--@include tasks/due_timer

local listener = ARGV[1]
redis.call("ZREM", listeners, listener)
if redis.call("HGET", timer, "listener") == listener then
  local successor = redis.call("ZRANGE", listeners, -1, -1)[1]
  if successor then
    redis.call("HSET", timer, "listener", successor, "at", int(NEVER))
    schedule_due(next_due())
  else
    redis.call("DEL", timer)
  end
end
return { "OK" }
