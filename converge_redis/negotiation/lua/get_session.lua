-- get_session: Read a negotiation, or register a listener for its next change.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   negotiation
-- ARGV[2]   listener, or "": only read
-- ARGV[3]   the version that the caller knows
-- Reply     {"FOUND", proposals, field, value, …} | {"UNKNOWN"}
--           {"WAIT", microseconds until its deadline, or ""}: not changed; the listener will be notified
--@include negotiation/negotiations

local id, listener, known = ARGV[1], ARGV[2], tonumber(ARGV[3])
local session = load_negotiation(id)
if not session then
  return { "UNKNOWN" }
end
if listener ~= "" and tonumber(session.version) <= known and not is_over(session) then
  return watch(negotiations .. id, listener, tonumber(session.deadline) or math.huge)
end
return session_reply({ "FOUND", redis.call("LRANGE", proposals .. id, 0, -1) }, session)
