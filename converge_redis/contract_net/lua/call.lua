-- call: asks agents to propose how they would do a task; each of them is told.
-- KEYS[1]   the shard of the task (core/shard_keys)
-- ARGV[1]   task, ARGV[2] who calls, ARGV[3] who is invited, as ",<agent>,<agent>,"
-- ARGV[4]   microseconds for replies, ARGV[5] microseconds until the call lapses
-- ARGV[6]   microseconds for which it is kept when it is over
-- Reply     {"CALLED"}: now, or before
--@include contract_net/contracts

local id, initiator, invitees = ARGV[1], ARGV[2], ARGV[3]
local reply_in, lapse_in, retention = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if redis.call("EXISTS", contracts .. id) == 1 then
  return { "CALLED" }
end
local fields = { state = "open", initiator = initiator, invitees = invitees, opened = now_text }
fields.closes, fields.lapses = int(now + reply_in), int(now + lapse_in)
update_session(contracts .. id, {}, fields)
expire_at(now + lapse_in + retention, { contracts .. id })
for agent in string.gmatch(invitees, "[^,]+") do
  redis.call("ZREMRANGEBYSCORE", calls .. agent, "-inf", now_text)
  redis.call("ZADD", calls .. agent, fields.lapses, id)
  local latest = redis.call("ZREVRANGE", calls .. agent, 0, 0, "WITHSCORES")[2]
  expire_at(tonumber(latest), { calls .. agent })
  notify_session_watchers(calls .. agent)
end
return { "CALLED" }
