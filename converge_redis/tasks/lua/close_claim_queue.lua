-- close: a listener goes. If it keeps time, another takes over.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   listener
-- Reply     {"OK"}
--@include tasks/due_timer

local listener = ARGV[1]
redis.call("ZREM", listeners, listener)
if redis.call("HGET", alarm, "listener") == listener then
  local heir = redis.call("ZRANGE", listeners, -1, -1)[1]
  if heir then
    redis.call("HSET", alarm, "listener", heir, "at", int(NEVER))
    expect(next_due())
  else
    redis.call("DEL", alarm)
  end
end
return { "OK" }
