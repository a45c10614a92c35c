-- counts: Read the number of tasks in each state.
-- KEYS[1]   the shard (core/shard_keys)
-- Reply     {"OK", number of delayed tasks, state, number, state, number, …}
--@include core/shard_keys

local reply = { "OK", redis.call("ZCARD", delayed) }
for _, value in ipairs(redis.call("HGETALL", counts)) do
  reply[#reply + 1] = value
end
return reply
