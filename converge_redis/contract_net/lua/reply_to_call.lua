-- reply_to_call: Propose to do a task, or refuse; the last reply of an agent counts.
-- KEYS[1]   the shard of the task (core/shard_keys)
-- ARGV[1]   call id, ARGV[2] task, ARGV[3] agent, ARGV[4] proposed or refused, ARGV[5] content
-- Reply     {"DONE"} | {"REFUSED", unknown, not_invited or late}
--@include contract_net/contracts

local call, id, agent, kind, content = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local contract = load_contract(id)
if not contract then
  return { "REFUSED", "unknown" }
elseif not string.find(contract.invitees, "," .. agent .. ",", 1, true) then
  return { "REFUSED", "not_invited" }
end
local previous = redis.call("HGET", replies .. id, agent)
if previous and string.match(previous, "^%S+ (%S+) ") == call then
  return { "DONE" }
elseif contract.state ~= "open" or tonumber(contract.closes) <= now then
  return { "REFUSED", "late" }
end
redis.call("HSET", replies .. id, agent, kind .. " " .. call .. " " .. now_text .. " " .. content)
redis.call("PEXPIREAT", replies .. id, redis.call("PTTL", contracts .. id) + math.ceil(now / 1000))
update_session(contracts .. id, contract, {})
return { "DONE" }
