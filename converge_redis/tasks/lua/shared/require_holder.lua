-- The holder of a claim: the agent with its id and, where the call has one, its claim token.
--@include tasks/expiry

local function is_holder(record, agent, token)
  return record.agent == agent and (token == "" or token == record.token)
end

-- Return nil for the holder of a live claim, else a refusal: {word, state, holder, token}.
local function refusal(record, agent, token)
  if is_claimed(record) and is_holder(record, agent, token) then
    return nil
  end
  local word = "NOT_HOLDER"
  if record.state == "cancelled" and is_holder(record, agent, token) then
    word = "CANCELLED"
  elseif token ~= "" or record.agent == agent or record.last_agent == agent then
    word = "CLAIM_LOST"
  end
  return { word, record.state, record.agent or "", record.token or "" }
end

-- Load a task for its holder. Returns the record; and the reply where the task is unknown, or a refusal.
local function load_held(id, agent, token)
  local record = load_current(id)
  if not record then
    return nil, { "UNKNOWN" }
  end
  return record, refusal(record, agent, token)
end
