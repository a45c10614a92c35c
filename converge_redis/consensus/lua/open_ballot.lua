-- open_ballot: begins a ballot; its time runs from now, and its roll is frozen.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   ballot
-- ARGV[2]   how many values follow, ARGV[3…] names and values of its terms (consensus/ballots), then agents
--           and weights
-- Reply     {"OPENED"}: now, or before
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
keep_ballot(id, fields)
return { "OPENED" }
