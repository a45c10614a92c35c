-- Changes of a record: encode and save it, and remember the calls that changed it.
--@include tasks/record

-- Escape user text, which must not end a part of the head.
local function escape(text)
  if string.find(text, "[%%|\n]") then
    return (string.gsub(text, "[%%|\n]", { ["%"] = "%25", ["|"] = "%7C", ["\n"] = "%0A" }))
  end
  return text
end

-- Encode the fields that few records have, as `name=value|…`:
--   timeout, deadline, retries, retention   where the task sets them
--   due                                     while pending and delayed
--   claimed                                 the time of the claim, where it differs from the token
--   expiries, lost                          number of expired claims, and the last of them
--   last_agent                              the previous holder
--   failure                                 the reason, where a deadline or `retries` failed the task
local function encode_optional(record)
  local OPTIONAL = {
    "timeout",
    "deadline",
    "retries",
    "retention",
    "due",
    "claimed",
    "expiries",
    "lost",
    "last_agent",
    "failure",
  }
  local parts = ""
  for _, name in ipairs(OPTIONAL) do
    local value = record[name]
    if value and not (name == "claimed" and value == record.token) then
      parts = parts .. name .. "=" .. escape(value) .. "|"
    end
  end
  return parts
end

-- Return a record as text. Code that sets an optional field also sets `has_optional`: most records have none.
local function encode(record)
  local letter = record.state == "cancelled" and "x" or string.sub(record.state, 1, 1)
  local lane = record.lane == "::" and "" or record.lane
  local priority = record.priority == "0" and "" or record.priority
  local agent = record.agent and escape(record.agent) or ""
  local token, finished_after = record.token or "", ""
  local optional = record.has_optional and encode_optional(record) or ""
  if record.finished then
    finished_after = int(record.finished - record.submitted)
    token = token ~= "" and int(token - record.submitted) or ""
  end
  -- One expression takes one buffer; a table of parts would take several.
  return letter .. "|" .. record.submitted .. "|" .. lane .. "|" .. priority .. "|"
    .. (record.ttl or "") .. "|" .. agent .. "|" .. token .. "|" .. (record.lease or "") .. "|"
    .. (record.listener or "") .. "|" .. (record.attempts or "") .. "|" .. (record.calls or "") .. "|"
    .. finished_after .. "|" .. (record.size or "") .. "|" .. optional .. "\n" .. record.payloads
end

local function save(id, record)
  record.text = encode(record)
  redis.call("SET", tasks .. id, record.text)
end

local CALL_ID_LENGTH = 11

-- Whether a call has changed the record before: when its reply was lost, the client sends it again with the
-- same call id. The record holds the last four ids.
local function seen_call(record, call_id)
  return record.calls ~= nil and string.find(record.calls, call_id, 1, true) ~= nil
end

-- Return the ids of the last calls, with a new one in front.
local function push_call(record, call_id)
  return call_id .. string.sub(record.calls or "", 1, 3 * CALL_ID_LENGTH)
end
