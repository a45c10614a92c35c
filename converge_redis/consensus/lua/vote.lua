-- vote: Cast or change a vote. When all agents on the roll have cast final votes, the ballot closes.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   call id, ARGV[2] ballot, ARGV[3] digest of the terms, or "": any, ARGV[4] agent
-- ARGV[5]   digests of the chosen options, as "<digest> <digest>"
-- ARGV[6]   the choice
-- ARGV[7]   "approval": the choice is a list of options; "": it is one option
-- Reply     {"DONE"} | {"REFUSED", late, not_on_roll, voted, option or method}
--           {"UNKNOWN"} | {"OTHER_TERMS"}
--@include consensus/ballots

local call, id, terms, agent, digests, choice = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local is_approval = ARGV[7] == "approval"

local function are_options(options)
  for digest in string.gmatch(digests, "%S+") do
    if not string.find(options, "," .. digest .. ",", 1, true) then
      return false
    end
  end
  return true
end

local ballot = load_ballot(id)
if not ballot then
  return { "UNKNOWN" }
elseif terms ~= "" and terms ~= ballot.terms then
  return { "OTHER_TERMS" }
end
local previous = redis.call("HGET", votes .. id, agent)
if previous and string.match(previous, "^%d+ (%S+) ") == call then
  return { "DONE" }
elseif ballot.state ~= "open" then
  return { "REFUSED", "late" }
end
local weight = ballot.closed_roll and redis.call("HGET", roll .. id, agent) or not ballot.closed_roll and "1"
if not weight then
  return { "REFUSED", "not_on_roll" }
elseif previous and not ballot.revisable then
  return { "REFUSED", "voted" }
elseif ballot.options and not are_options(ballot.options) then
  return { "REFUSED", "option" }
elseif is_approval ~= (ballot.method == "approval") then
  return { "REFUSED", "method" }
end
redis.call("HSET", votes .. id, agent, weight .. " " .. call .. " " .. choice)
set_ballot_expiry(id, ballot, ballot.closes)
local roll_size = ballot.closed_roll and redis.call("HLEN", roll .. id)
if roll_size == redis.call("HLEN", votes .. id) and not ballot.revisable then
  close_ballot(id, ballot, now)
elseif ballot.public then
  update_session(ballots .. id, ballot, {})
end
return { "DONE" }
