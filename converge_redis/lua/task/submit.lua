-- submit: new -> pending, for one task or for several of the same shard.
-- KEYS[1]   the shard (shared/shard.lua)
-- ARGV[1]   number of tasks; then for each task:
-- ARGV[…]   id, spec (msgpack), delay (microseconds), n, then n field names and values of the record:
--           lane, priority, and those of ttl, timeout, deadline, retries, retention that are set
-- Reply     {"SUBMITTED"}: every task is stored, now or by an earlier call with the same spec
--           {"EXISTS", id, spec, id, spec, …}: these ids were taken, with these specs; the others are stored
--@include shared/states

local reply = { "SUBMITTED" }
local at = 2
for _ = 1, tonumber(ARGV[1]) do
  local id, spec, delay, size = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local stored = redis.call("GET", specs .. id)
  if not stored then
    local fields = { submitted = int(now) }
    for i = at + 4, at + 2 + 2 * size, 2 do
      fields[ARGV[i]] = ARGV[i + 1]
    end
    redis.call("SET", specs .. id, spec)
    if fields.deadline then
      redis.call("ZADD", deadlines, fields.deadline, id)
    end
    enter_pending(id, {}, now + delay, fields)
  elseif stored ~= spec then
    reply[1] = "EXISTS"
    reply[#reply + 1] = id
    reply[#reply + 1] = stored
  end
  at = at + 4 + 2 * size
end
return reply
