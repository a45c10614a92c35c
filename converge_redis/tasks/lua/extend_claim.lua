-- extend_claim: Renew the leases of claims, from the server's current time.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[…]   for each claim: task id, agent id, and claim token, or "": the agent id is enough
-- Reply     {"OK", outcome, …}, for each claim {"EXTENDED", microseconds until the lease ends, or ""} |
--           {"UNKNOWN"} | {"UNREADABLE"} | a refusal (tasks/require_holder)
--@include tasks/require_holder

local function extend(id, agent, token)
  local is_read, record, refused = pcall(load_held, id, agent, token)
  if not is_read then
    return { "UNREADABLE" }
  end
  if refused then
    return refused
  end
  set_lease(record)
  if record.lease then
    redis.call("ZADD", leases, record.lease, id)
    save(id, record)
  end
  return { "EXTENDED", record.lease and int(tonumber(record.lease) - now) or "" }
end

local reply = { "OK" }
for i = 1, #ARGV, 3 do
  reply[#reply + 1] = extend(ARGV[i], ARGV[i + 1], ARGV[i + 2])
end
return reply
