-- get_ballot: Read a ballot, or register a listener for its close.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   ballot
-- ARGV[2]   listener, or "": only read
-- Reply     {"FOUND", number of votes, number of agents on the roll, votes, field, value, …} | {"UNKNOWN"};
--           votes: {agent, vote, …}, empty before the close of a secret ballot
--           {"WAIT", microseconds until it closes, or ""}: still open; the listener will be notified
--@include consensus/ballots

local id, listener = ARGV[1], ARGV[2]
local ballot = load_ballot(id)
if not ballot then
  return { "UNKNOWN" }
elseif listener ~= "" and ballot.state == "open" then
  return watch(ballots .. id, listener, tonumber(ballot.closes) or math.huge)
end
local is_readable = ballot.public or ballot.state == "closed"
local cast = is_readable and redis.call("HGETALL", votes .. id) or {}
local reply = { "FOUND", redis.call("HLEN", votes .. id), redis.call("HLEN", roll .. id), cast }
return session_reply(reply, ballot)
