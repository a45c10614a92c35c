-- release_expired_claims: assigned, running -> pending (or failed), for leases that have run out; bounded.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   microseconds to add to the server's time when leases are held against it
-- ARGV[2]   the most claims to look at
-- Reply     {"MORE" or "DONE", id, id, …}: the tasks that are pending now
--@include tasks/expiry

local at, most = now + tonumber(ARGV[1]), tonumber(ARGV[2])
local expired = redis.call("ZRANGEBYSCORE", leases, "-inf", int(at), "LIMIT", 0, most)
local reply = { #expired == most and "MORE" or "DONE" }
for _, id in ipairs(expired) do
  local record = load_readable(id)
  if record then
    apply_due(id, record, at)
    if record.state == "pending" then
      reply[#reply + 1] = id
    end
  else
    redis.call("ZREM", leases, id)
  end
end
return reply
