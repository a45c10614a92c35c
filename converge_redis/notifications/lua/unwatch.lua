-- look_away: has a listener not told any more of what happens to sessions.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   listener, ARGV[2…] sessions, as "auction:<id>"
-- Reply     {"OK"}
--@include notifications/session

for i = 2, #ARGV do
  redis.call("SREM", watchers_of .. ARGV[i], ARGV[1])
end
return { "OK" }
