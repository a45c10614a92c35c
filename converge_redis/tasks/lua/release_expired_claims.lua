-- release_expired_claims: Release claims whose leases have ended (assigned, running -> pending or failed).
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   microseconds to add to the server's time, to which the ends of leases are compared
-- ARGV[2]   the most claims to release
-- Reply     {"MORE" or "DONE", id, id, …}: the tasks that are pending again
--@include tasks/expiry

local lease_limit, max_claims = now + tonumber(ARGV[1]), tonumber(ARGV[2])
local expired = redis.call("ZRANGEBYSCORE", leases, "-inf", int(lease_limit), "LIMIT", 0, max_claims)
local reply = { #expired == max_claims and "MORE" or "DONE" }
for _, id in ipairs(expired) do
  local record = load_readable(id)
  if record then
    apply_due(id, record, lease_limit)
    if record.state == "pending" then
      reply[#reply + 1] = id
    end
  else
    redis.call("ZREM", leases, id)
  end
end
return reply
