-- unwatch: Unregister a listener for some sessions.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   listener, ARGV[2…] sessions, as "auction:<id>"
-- Reply     {"OK"}
--@include notifications/session

for i = 2, #ARGV do
  redis.call("SREM", session_watchers .. ARGV[i], ARGV[1])
end
return { "OK" }
