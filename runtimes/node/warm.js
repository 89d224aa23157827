// What a stem runs before it knows its function, so that the paths of a first event are compiled already.
exports.handler = async (event) => event;
