-- A task's record: one string, `<head>\n<spec><result>`, so that a task takes one key and few bytes
-- (docs/decisions/task-records.md). A spec or a result of more than MOST_INSIDE bytes has a key of its own,
-- so that no transition rewrites it. The head is text, with `|` after each part:
--   state (its letter), submitted, lane, priority, ttl     from submit on; "": the lane `::`, the priority 0
--   agent, token, lease, listener                          while claimed; agent and token also when finished
--   attempts                                               the claims so far
--   calls                                                  ids of the last calls that changed the record
--   finished                                               when terminal
--   size                                                   of the spec inside; "" when it has its own key
--   name=value|…                                           what few tasks have (RARE, below)
-- Times are in microseconds; once a task is finished, `token` and `finished` count from `submitted`.
-- operations/submitting.py lays out the head of a new task, operations/task_replies.py reads all of it.
--@include core/shard_keys

local MAX_INLINE_BYTES = 1024

local function is_terminal(record)
  return record.finished ~= nil
end

local function unescape(text)
  if string.find(text, "%", 1, true) then
    return (string.gsub(text, "%%(%x%x)", { ["25"] = "%", ["7C"] = "|", ["0A"] = "\n" }))
  end
  return text
end

local HEAD = "^(%a+)|(%d*)|([^|]*)|([^|]*)|(%d*)|([^|]*)|(%-?%d*)|(%d*)|([^|]*)|(%d*)|([^|]*)|"
  .. "(%-?%d*)|(%d*)|([^\n]*)\n()"

-- Not a table: one would be made by every script.
local function state_name(letter)
  return letter == "p" and "pending"
    or letter == "a" and "assigned"
    or letter == "r" and "running"
    or letter == "c" and "completed"
    or letter == "f" and "failed"
    or letter == "x" and "cancelled"
    or letter
end

-- Makes a record of its text.
local function decode(text, id)
  local letter, submitted, lane, priority, ttl, agent, token, lease, listener, attempts, calls, ended, size,
    rest, at = string.match(text, HEAD)
  if not letter then
    error("task '" .. id .. "' is stored in a form that cannot be read", 0)
  end
  local record = {
    text = text,
    state = state_name(letter),
    submitted = submitted,
    lane = lane == "" and "::" or lane,
    priority = priority == "" and "0" or priority,
    ttl = ttl ~= "" and ttl or nil,
    agent = agent ~= "" and unescape(agent) or nil,
    token = token ~= "" and token or nil,
    lease = lease ~= "" and lease or nil,
    listener = listener ~= "" and listener or nil,
    attempts = attempts ~= "" and attempts or nil,
    calls = calls ~= "" and calls or nil,
    size = size ~= "" and tonumber(size) or nil,
    payloads = string.sub(text, at),
  }
  if rest ~= "" then
    record.has_optional = true
    for name, value in string.gmatch(rest, "([%a_]+)=([^|]*)|") do
      record[name] = unescape(value)
    end
  end
  if ended ~= "" then
    record.finished = int(submitted + ended)
    record.token = record.token and int(submitted + token)
  end
  record.claimed = record.claimed or (record.agent and record.token)
  return record
end

local function load(id)
  local text = redis.call("GET", tasks .. id)
  return text and decode(text, id) or nil
end

-- The same where one record that cannot be read (somebody overwrote it) must not stop the work on others.
local function load_readable(id)
  local is_read, record = pcall(load, id)
  return is_read and record or nil
end

-- User text in a head must not end a part of it.
local function escape(text)
  if string.find(text, "[%%|\n]") then
    return (string.gsub(text, "[%%|\n]", { ["%"] = "%25", ["|"] = "%7C", ["\n"] = "%0A" }))
  end
  return text
end

-- What few records have, as `name=value|…`:
--   timeout, deadline, retries, retention   only where the task sets them
--   due                                     while pending and delayed
--   claimed                                 when the claim began, where that is not the token
--   expiries, lost, last_agent              what happened before: expired claims, the last ones
--   failure                                 a reason given by the rules
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
  local token, ended = record.token or "", ""
  local rest = record.has_optional and encode_optional(record) or ""
  if record.finished then
    ended = int(record.finished - record.submitted)
    token = token ~= "" and int(token - record.submitted) or ""
  end
  -- One expression: it takes one buffer, where a table of parts takes several.
  return letter .. "|" .. record.submitted .. "|" .. lane .. "|" .. priority .. "|"
    .. (record.ttl or "") .. "|" .. agent .. "|" .. token .. "|" .. (record.lease or "") .. "|"
    .. (record.listener or "") .. "|" .. (record.attempts or "") .. "|" .. (record.calls or "") .. "|"
    .. ended .. "|" .. (record.size or "") .. "|" .. rest .. "\n" .. record.payloads
end

local function save(id, record)
  record.text = encode(record)
  redis.call("SET", tasks .. id, record.text)
end

-- What was submitted, and what came out; nil when there is none.
local function spec_of(id, record)
  return record.size and string.sub(record.payloads, 1, record.size) or redis.call("GET", specs .. id) or nil
end

local function result_of(id, record)
  local inside = string.sub(record.payloads, (record.size or 0) + 1)
  return inside ~= "" and inside or record.finished and redis.call("GET", results .. id) or nil
end

local function put_result(id, record, result)
  if #result <= MAX_INLINE_BYTES then
    record.payloads = record.payloads .. result
  else
    redis.call("SET", results .. id, result)
  end
end

local function drop_result(id, record)
  record.payloads = string.sub(record.payloads, 1, record.size or 0)
  redis.call("DEL", results .. id)
end

-- A call whose reply was lost is sent again with the same call id. The record remembers the last four.
local CALL_LENGTH = 11

local function seen_call(record, call)
  return record.calls ~= nil and string.find(record.calls, call, 1, true) ~= nil
end

-- Is the call the last one that changed the record? Then what it did still stands.
local function is_last_call(record, call)
  return record.calls ~= nil and string.sub(record.calls, 1, CALL_LENGTH) == call
end

local function push_call(record, call)
  return call .. string.sub(record.calls or "", 1, 3 * CALL_LENGTH)
end
