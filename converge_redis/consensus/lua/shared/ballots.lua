-- Ballots.
--@include notifications/session
local ballots, roll, votes = base .. "ballot:", base .. "roll:", base .. "votes:"

-- A ballot is a session:
--   terms                           a digest of all that follows up to `retention`, and of the roll
--   method, quorum, threshold       how the votes decide; it is those who read them that count
--   options                         ",<digest>,<digest>,": what may be voted for; none: anything
--   revisable, public, closed_roll  "1": a vote may be changed; votes can be read before the close; only
--                                   those on the roll may vote
--   deadline, retention             microseconds
--   state, opened, closes, ended    open, closed; times
-- A vote is "<weight> <call> <choice>".

local function conclude(id, ballot, at)
  update_session(ballots .. id, ballot, { state = "closed", ended = int(at) })
  expire_at(at + tonumber(ballot.retention), { ballots .. id, roll .. id, votes .. id })
end

-- Returns a ballot as it is now: past its deadline it was closed then.
local function load_ballot(id)
  local ballot = load_session(ballots .. id)
  local closes = ballot and tonumber(ballot.closes)
  if closes and closes <= now and ballot.state == "open" then
    conclude(id, ballot, closes)
  end
  return ballot
end

local function keep_ballot(id, ballot)
  if ballot.closes then
    local ends = tonumber(ballot.closes) + tonumber(ballot.retention)
    expire_at(ends, { ballots .. id, roll .. id, votes .. id })
  end
end
