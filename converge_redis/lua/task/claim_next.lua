-- claim_next: pending -> assigned, of the best tasks that the agent may have.
-- KEYS      the shard's keys (shared/shard.lua)
-- ARGV[1]   call id
-- ARGV[2]   agent id
-- ARGV[3]   the most tasks to claim
-- ARGV[4]   "again" when the call may have been made before and its reply was lost, else "first"
-- ARGV[5…]  the filter (shared/lanes.lua): pools, topics, capabilities
-- Reply     {"CLAIMED", task, task, …} (shared/reply.lua)
--           {"NOTHING", microseconds until a delay or lease of the shard ends, or ""}
--           {"NOTHING", 0}: there may be something, behind more of what is over than one call clears away
--@include shared/time
--@include shared/lanes
--@include shared/heap
--@include shared/reply

local call, agent, wanted, sending = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local MOST_CLAIMS_LOOKED_AT = 1000
local MOST_DEADLINES_PASSED = 16

local reply = { "CLAIMED" }
if sending == "again" then
  for _, id in ipairs(redis.call("ZREVRANGE", claims .. agent, 0, MOST_CLAIMS_LOOKED_AT - 1)) do
    local record = load(id)
    if record and is_last(record, call) then
      reply[#reply + 1] = task_reply(id, record)
    end
  end
  if #reply > 1 then
    return reply
  end
end

sweep()

-- The best task of each lane that the agent may claim from.
local heads = {}

local function read_head(name)
  local head = redis.call("ZRANGE", lane_prefix .. name, 0, 0, "WITHSCORES")
  return head[1] and { lane = name, id = head[1], score = tonumber(head[2]) }
end

each_lane((read_filter(5)), "-", function(name)
  heads[#heads + 1] = read_head(name)
end)

heapify(heads)

for _ = 1, wanted + MOST_DEADLINES_PASSED do
  if #heads == 0 or #reply > wanted then
    break
  end
  local name, id = heads[1].lane, heads[1].id
  local record = load_current(id)
  if not record then
    redis.call("ZREM", lane_prefix .. name, id) -- the server evicted the record, or somebody deleted it
  elseif record.state == "pending" then
    assign(id, record, agent, call)
    reply[#reply + 1] = task_reply(id, record)
  end
  replace_top(heads, read_head(name))
end
if #reply > 1 then
  return reply
end

local soonest = #heads > 0 and now or math.huge
for _, index in ipairs({ leases, delayed }) do
  local first = redis.call("ZRANGE", index, 0, 0, "WITHSCORES")
  soonest = math.min(soonest, tonumber(first[2]) or math.huge)
end
return { "NOTHING", soonest < math.huge and int(math.max(soonest - now, 0)) or "" }
