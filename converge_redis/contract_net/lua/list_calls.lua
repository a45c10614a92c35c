-- list_calls: List the open calls that invite an agent and to which it has not replied.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   agent, percent-encoded
-- ARGV[2]   listener to register for the next call if there is none, or ""
-- Reply     {"FOUND", task, …} | {"WAIT", ""}
--@include contract_net/contracts

local agent, listener = ARGV[1], ARGV[2]
local MAX_CALLS = 1000
local reply = { "FOUND" }
for _, id in ipairs(redis.call("ZRANGE", open_calls .. agent, 0, MAX_CALLS - 1)) do
  local contract = load_contract(id)
  if not contract then
    redis.call("ZREM", open_calls .. agent, id)
  elseif contract.state == "open" and tonumber(contract.closes) > now then
    if redis.call("HEXISTS", replies .. id, agent) == 0 then
      reply[#reply + 1] = id
    end
  end
end
if #reply == 1 and listener ~= "" then
  return watch(open_calls .. agent, listener, math.huge)
end
return reply
