-- Calls for proposals, known by the id of their task. Agents are percent-encoded.
--@include notifications/session
local contracts, replies, calls = base .. "contract:", base .. "replies:", base .. "calls:"

-- A call is a session:
--   state, initiator, invitees   open, awarded, lapsed; who calls; ",<agent>,<agent>,"
--   opened, closes, lapses       times: of the call, of the last reply, and when it is over without an award
--   contractor, ended            who was awarded, and when
--   retention                    microseconds for which it is kept when it is over
-- A reply is "<proposed or refused> <call> <time> <content>".

local function end_call(id, contract, at, fields)
  fields.ended = int(at)
  update_session(contracts .. id, contract, fields)
  for agent in string.gmatch(contract.invitees, "[^,]+") do
    redis.call("ZREM", calls .. agent, id)
  end
end

-- Returns a call as it is now: it has lapsed if it was not awarded in time.
local function load_contract(id)
  local contract = load_session(contracts .. id)
  if contract and contract.state == "open" and tonumber(contract.lapses) <= now then
    end_call(id, contract, tonumber(contract.lapses), { state = "lapsed" })
  end
  return contract
end

local function is_invited(contract, agent)
  return string.find(contract.invitees, "," .. agent .. ",", 1, true) ~= nil
end
