-- A task as a reply: {id, spec, result or nil, field, value, field, value, …}.
--@include shared/record

local function task_reply(id, record)
  local reply = { id, redis.call("GET", specs .. id), redis.call("GET", results .. id) }
  for name, value in pairs(record) do
    reply[#reply + 1] = name
    reply[#reply + 1] = value
  end
  return reply
end
