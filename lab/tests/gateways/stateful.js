// stripe-stateful-mock (npm) on 127.0.0.1 alone.
const { createExpressApp } = require("stripe-stateful-mock");

createExpressApp().listen(Number(process.argv[2]), "127.0.0.1");
