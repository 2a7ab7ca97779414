-- Sends a given number of requests from each thread, and then nothing.
--
-- Arguments: batches per thread, method, path, body bytes, requests per batch. NUMBER in the path is replaced with a unique
-- number. wrk calls delay() before each batch, so that function counts the batches.

local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("thread_number", threads)
end

function init(arguments)
  permits = tonumber(arguments[1])
  method = arguments[2]
  path = arguments[3]
  body = string.rep("u", tonumber(arguments[4]))
  depth = tonumber(arguments[5])
  sent = 0
end

local function one()
  sent = sent + 1
  local target = path:gsub("NUMBER", thread_number .. "-" .. sent)
  return wrk.format(method, target, {["Host"] = "localhost"}, body ~= "" and body or nil)
end

function request()
  local batch = {}
  for place = 1, depth do
    batch[place] = one()
  end
  return table.concat(batch)
end

function delay()
  if permits > 0 then
    permits = permits - 1
    return 0
  end
  return 3600000
end
