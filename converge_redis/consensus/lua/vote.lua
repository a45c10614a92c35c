-- vote: casts a ballot, or changes it where that is allowed. It closes when all on the roll have voted for
-- good.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   call id, ARGV[2] ballot, ARGV[3] terms, or "": any, ARGV[4] agent
-- ARGV[5]   digests of what it votes for, as "<digest> <digest>"
-- ARGV[6]   the choice
-- ARGV[7]   the method that the choice is made for
-- Reply     {"DONE"} | {"REFUSED", late, not_on_roll, voted, option or method}
--           {"UNKNOWN"} | {"OTHER_TERMS"}
--@include consensus/ballots

local call, id, terms, agent, digests, choice = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local approval = ARGV[7] == "approval"

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
local before = redis.call("HGET", votes .. id, agent)
if before and string.match(before, "^%d+ (%S+) ") == call then
  return { "DONE" }
elseif ballot.state ~= "open" then
  return { "REFUSED", "late" }
end
local weight = ballot.closed_roll and redis.call("HGET", roll .. id, agent) or not ballot.closed_roll and "1"
if not weight then
  return { "REFUSED", "not_on_roll" }
elseif before and not ballot.revisable then
  return { "REFUSED", "voted" }
elseif ballot.options and not are_options(ballot.options) then
  return { "REFUSED", "option" }
elseif approval ~= (ballot.method == "approval") then
  return { "REFUSED", "method" }
end
redis.call("HSET", votes .. id, agent, weight .. " " .. call .. " " .. choice)
keep_ballot(id, ballot)
local all = ballot.closed_roll and redis.call("HLEN", roll .. id)
if all == redis.call("HLEN", votes .. id) and not ballot.revisable then
  conclude(id, ballot, now)
elseif ballot.public then
  update_session(ballots .. id, ballot, {})
end
return { "DONE" }
