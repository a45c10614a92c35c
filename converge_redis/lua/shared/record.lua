-- A task's record: a hash whose fields are few and short, so that it stays compact in memory.
--   state, lane, priority, submitted              from submit on; times in microseconds
--   ttl, timeout, deadline, retries, retention    only where the task sets them
--   due                                           while pending and delayed
--   agent, token, claimed, lease, listener        while claimed; agent and token stay when it is finished
--   attempts, expiries, lost, last_agent          what happened before: claims, expired claims, the last ones
--   finished, failure                             when terminal; failure: a reason given by the rules
--   calls                                         ids of the last calls that changed the record
--@include shared/shard

local function load(id)
  local flat = redis.call("HGETALL", tasks .. id)
  if #flat == 0 then
    return nil
  end
  local record = {}
  for i = 1, #flat, 2 do
    record[flat[i]] = flat[i + 1]
  end
  return record
end

local function change(id, record, fields)
  local flat = {}
  for name, value in pairs(fields) do
    record[name] = value
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  redis.call("HSET", tasks .. id, unpack(flat))
end

local function drop(id, record, names)
  for _, name in ipairs(names) do
    record[name] = nil
  end
  redis.call("HDEL", tasks .. id, unpack(names))
end

-- A call whose reply was lost is sent again with the same call id. The record remembers the last four.
local CALL_LENGTH = 11

local function has_seen(record, call)
  return record.calls ~= nil and string.find(record.calls, call, 1, true) ~= nil
end

-- Is the call the last one that changed the record? Then what it did still stands.
local function is_last(record, call)
  return record.calls ~= nil and string.sub(record.calls, 1, CALL_LENGTH) == call
end

local function remember(record, call)
  return call .. string.sub(record.calls or "", 1, 3 * CALL_LENGTH)
end
