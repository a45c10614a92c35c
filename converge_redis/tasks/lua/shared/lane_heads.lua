-- The heads of lanes: the first tasks of each lane, which are its best, and a binary heap with the best head
-- on top.
--@include core/shard_keys
--@include tasks/byte_order

-- Read up to `limit` tasks of a lane from a rank on. Returns a head that is at the first of them, or nil.
local function read_head(lane, rank, limit)
  local entries = redis.call("ZRANGE", lane_prefix .. lane, rank, rank + limit - 1, "WITHSCORES")
  local id, score = entries[1], tonumber(entries[2])
  return id and { lane = lane, entries = entries, rank = rank, at = 1, id = id, score = score }
end

-- Move a head to its next task. Returns the head, or nil where the tasks that were read are used up.
local function next_task(head)
  head.at = head.at + 2
  head.id, head.score = head.entries[head.at], tonumber(head.entries[head.at + 1])
  return head.id and head
end

local function is_better(a, b)
  return a.score < b.score or (a.score == b.score and is_before(a.id, b.id))
end

local function sift_down(heap, position)
  while true do
    local best = position
    for child = 2 * position, math.min(2 * position + 1, #heap) do
      if is_better(heap[child], heap[best]) then
        best = child
      end
    end
    if best == position then
      return
    end
    heap[position], heap[best] = heap[best], heap[position]
    position = best
  end
end

local function heapify(heap)
  for position = math.floor(#heap / 2), 1, -1 do
    sift_down(heap, position)
  end
end

-- Replace the top of a heap; nil removes it.
local function replace_top(heap, head)
  local last = #heap
  heap[1] = head or heap[last]
  if not head then
    heap[last] = nil
  end
  sift_down(heap, 1)
end
