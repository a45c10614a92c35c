-- open_ballot: Open a ballot with a fixed roll; its time runs from now.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   ballot
-- ARGV[2]   number of the arguments that hold terms
-- ARGV[3…]  names and values of the terms (consensus/ballots), then agents on the roll and their weights
-- Reply     {"OPENED"}: by this call or an earlier one
--@include consensus/ballots

local id, size = ARGV[1], tonumber(ARGV[2])
if redis.call("EXISTS", ballots .. id) == 1 then
  return { "OPENED" }
end
local fields = { state = "open", opened = now_text }
for i = 3, size + 2, 2 do
  fields[ARGV[i]] = ARGV[i + 1]
end
fields.closes = fields.deadline and int(now + tonumber(fields.deadline))
for i = size + 3, #ARGV, 2 do
  redis.call("HSET", roll .. id, ARGV[i], ARGV[i + 1])
end
update_session(ballots .. id, {}, fields)
set_ballot_expiry(id, fields, fields.closes)
return { "OPENED" }
