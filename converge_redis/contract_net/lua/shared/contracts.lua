-- Calls for proposals, known by the id of their task. Agent ids are percent-encoded.
--@include notifications/session

-- A call is a session:
--   state                        open, awarded, lapsed
--   initiator, invitees          the agent that calls; the invited agents, ",<agent>,<agent>,"
--   opened, closes, lapses       times: of the call, of the last possible reply, of its end without an award
--   contractor, ended            the agent to which the task was awarded; the time of the end
-- A reply is "<proposed or refused> <call> <time> <content>".

local function end_call(id, contract, at, fields)
  fields.ended = int(at)
  update_session(contracts .. id, contract, fields)
  for agent in string.gmatch(contract.invitees, "[^,]+") do
    redis.call("ZREM", open_calls .. agent, id)
  end
end

-- Load a call; let it lapse first if it was not awarded in time.
local function load_contract(id)
  local contract = read_hash(contracts .. id)
  if contract and contract.state == "open" and tonumber(contract.lapses) <= now then
    end_call(id, contract, tonumber(contract.lapses), { state = "lapsed" })
  end
  return contract
end
