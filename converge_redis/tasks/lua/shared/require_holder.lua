-- Who may act on a claim: its holder, known by agent id, and by claim token where one is given.
--@include tasks/expiry

local function is_holder(record, agent, token)
  return record.agent == agent and (token == "" or token == record.token)
end

-- Returns nil for the holder of a live claim, else the reply that refuses.
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
