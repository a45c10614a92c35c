-- get_ballot: reads a ballot, or has a listener told of its next change.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   ballot
-- ARGV[2]   listener, or "": only read; it waits for the end
-- Reply     {"FOUND", ballots cast, agents on the roll, votes, field, value, …} | {"UNKNOWN"}; votes: {agent,
--           vote, …}, empty before the close of a secret ballot
--           {"WAIT", microseconds until it closes, or ""}: it goes on; the listener will be told
--@include consensus/ballots

local id, listener = ARGV[1], ARGV[2]
local ballot = load_ballot(id)
if not ballot then
  return { "UNKNOWN" }
elseif listener ~= "" and ballot.state == "open" then
  return watch(ballots .. id, listener, tonumber(ballot.closes) or math.huge)
end
local readable = ballot.public or ballot.state == "closed"
local cast = readable and redis.call("HGETALL", votes .. id) or {}
local reply = { "FOUND", redis.call("HLEN", votes .. id), redis.call("HLEN", roll .. id), cast }
return session_reply(reply, ballot)
