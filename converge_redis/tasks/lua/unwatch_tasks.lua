-- unwatch_tasks: Unregister a listener for the end of tasks.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   listener, ARGV[2…] task ids
-- Reply     {"OK"}
--@include core/shard_keys

local listener = ARGV[1]
for i = 2, #ARGV do
  redis.call("SREM", watchers .. ARGV[i], listener)
end
return { "OK" }
