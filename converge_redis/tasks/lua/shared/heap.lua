-- A binary heap of lanes, each with its first task, the best of them on top.
--@include tasks/byte_order

local function is_better(a, b)
  return a.score < b.score or (a.score == b.score and is_before(a.id, b.id))
end

local function sift_down(heap, place)
  while true do
    local best = place
    for child = 2 * place, math.min(2 * place + 1, #heap) do
      if is_better(heap[child], heap[best]) then
        best = child
      end
    end
    if best == place then
      return
    end
    heap[place], heap[best] = heap[best], heap[place]
    place = best
  end
end

local function heapify(heap)
  for place = math.floor(#heap / 2), 1, -1 do
    sift_down(heap, place)
  end
end

-- Puts `entry` in the place of the top; nil takes the top away.
local function replace_top(heap, entry)
  local last = #heap
  heap[1] = entry or heap[last]
  if not entry then
    heap[last] = nil
  end
  sift_down(heap, 1)
end
