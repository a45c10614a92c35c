-- extend_claim: renews the leases of claims of the shard, from the server's now.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[…]   for each claim: task id, agent id, and claim token, or "" to know the holder by its agent id
-- Reply     {"OK", outcome, …}, for each claim {"EXTENDED", microseconds until the lease ends, or ""} |
--           {"UNKNOWN"} | {"UNREADABLE"} | a refusal (tasks/require_holder)
--@include tasks/require_holder

local function extend(id, agent, token)
  local is_read, record = try_load(id)
  if not is_read then
    return { "UNREADABLE" }
  end
  if not record then
    return { "UNKNOWN" }
  end
  local refused = refusal(record, agent, token)
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
