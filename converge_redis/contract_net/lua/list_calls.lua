-- calls_for: lists the calls that an agent is invited to and has not replied to, while it may.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   agent, percent-encoded
-- ARGV[2]   listener, or "": it is told of the next call if there is none
-- Reply     {"FOUND", task, …} | {"WAIT", ""}
--@include contract_net/contracts

local agent, listener = ARGV[1], ARGV[2]
local MOST = 1000
local reply = { "FOUND" }
for _, id in ipairs(redis.call("ZRANGE", calls .. agent, 0, MOST - 1)) do
  local contract = load_contract(id)
  if not contract then
    redis.call("ZREM", calls .. agent, id)
  elseif contract.state == "open" and tonumber(contract.closes) > now then
    if redis.call("HEXISTS", replies .. id, agent) == 0 then
      reply[#reply + 1] = id
    end
  end
end
if #reply == 1 and listener ~= "" then
  return watch(calls .. agent, listener, math.huge)
end
return reply
