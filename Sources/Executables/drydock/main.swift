import Commands

await MultiCall.main()
