-- get_call: Read a call for proposals, or register a listener for its next event.
-- KEYS[1]   the shard of the task (core/shard_keys)
-- ARGV[1]   task
-- ARGV[2]   listener, or "": only read
-- ARGV[3]   event: replies: all agents have replied, or the time for replies is over; award: the call is over
-- Reply     {"FOUND", {agent, reply, …}, field, value, …} | {"UNKNOWN"}
-- ARGV[3]   event: replies: all agents have replied, or may no longer reply; award: the call is over
--@include contract_net/contracts

local id, listener, event = ARGV[1], ARGV[2], ARGV[3]
local contract = load_contract(id)
if not contract then
  return { "UNKNOWN" }
end
if listener ~= "" and contract.state == "open" then
  local due = tonumber(event == "replies" and contract.closes or contract.lapses)
  local _, commas = string.gsub(contract.invitees, ",", "") -- one more than the agents
  local is_complete = event == "replies" and redis.call("HLEN", replies .. id) == commas - 1
  if due > now and not is_complete then
    return watch(contracts .. id, listener, due)
  end
end
return session_reply({ "FOUND", redis.call("HGETALL", replies .. id) }, contract)
