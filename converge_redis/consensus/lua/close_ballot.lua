-- close_ballot: Close a ballot now, before its deadline or without one.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   call id, ARGV[2] ballot
-- Reply     {"DONE"} | {"REFUSED", late or unknown}
--@include consensus/ballots

local call, id = ARGV[1], ARGV[2]
local ballot = load_ballot(id)
if not ballot then
  return { "REFUSED", "unknown" }
elseif ballot.closer == call then
  return { "DONE" }
elseif ballot.state ~= "open" then
  return { "REFUSED", "late" }
end
redis.call("HSET", ballots .. id, "closer", call)
close_ballot(id, ballot, now)
return { "DONE" }
