-- Ballots: loading and closing them.
--@include notifications/session

-- A ballot is a session:
--   terms                           digest of the fields up to `deadline`, and of the roll
--   method, quorum, threshold       how the votes are counted, by the processes that read them
--   options                         ",<digest>,<digest>,": the options; none: any option
--   revisable, public, closed_roll  "1": votes can be changed; votes can be read before the close; only
--                                   agents on the roll can vote
--   deadline, retention             microseconds after the opening; after the close
--   state, opened, closes, ended    open, closed; times
--   closer                          the call that closed it
-- A vote is "<weight> <call> <choice>".

-- Let the keys of a ballot expire after its retention; `ends` is its end, or nil: unknown, and they do not
-- expire.
local function set_ballot_expiry(id, ballot, ends)
  if ends then
    expire_at(tonumber(ends) + tonumber(ballot.retention), { ballots .. id, roll .. id, votes .. id })
  end
end

local function close_ballot(id, ballot, at)
  update_session(ballots .. id, ballot, { state = "closed", ended = int(at) })
  set_ballot_expiry(id, ballot, at)
end

-- Load a ballot; close it first if its deadline has passed.
local function load_ballot(id)
  local ballot = read_hash(ballots .. id)
  local closes = ballot and tonumber(ballot.closes)
  if closes and closes <= now and ballot.state == "open" then
    close_ballot(id, ballot, closes)
  end
  return ballot
end
